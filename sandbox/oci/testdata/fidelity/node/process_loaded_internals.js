console.log(process.moduleLoadList.length > 100, process.moduleLoadList.filter((m) => /NativeModule (zlib|vm|readline)$/.test(m)));
