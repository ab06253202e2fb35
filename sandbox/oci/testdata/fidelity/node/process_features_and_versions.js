console.log(process.version, Object.keys(process.versions), process.features, process.release, process.arch, process.platform, process.config.variables.napi_build_version);
console.log(process.allowedNodeEnvironmentFlags.size, process.report === undefined, process.permission, process.debugPort, process.exitCode, process._exiting);
