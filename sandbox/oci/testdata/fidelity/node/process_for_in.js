const names = [];
for (const name in process) names.push(name);
console.log(names.sort());
