const inspector = require('inspector');
console.log(inspector.url(), typeof inspector.Session);
