try {
  require('./broken');
} catch (e) {
  console.log(e.name, e.message, e.stack.split('\n').slice(0, 4));
}
require('./broken');
