const { DatabaseSync } = require('node:sqlite');
const db = new DatabaseSync(':memory:');
console.log(db.prepare('select 1 + 1 as two').get());
