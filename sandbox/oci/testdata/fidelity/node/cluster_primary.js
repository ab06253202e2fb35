const cluster = require('cluster');
console.log(cluster.isPrimary, cluster.isWorker, process.env.NODE_UNIQUE_ID);
if (cluster.isPrimary) {
  cluster.fork().on('exit', (code) => console.log('worker exit', code));
} else {
  process.exit(2);
}
