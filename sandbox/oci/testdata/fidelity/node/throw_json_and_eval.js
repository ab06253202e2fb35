try {
  eval('1 +');
} catch (e) {
  console.log(e.stack.split('\n')[0], e.stack.includes('main.js'));
}
JSON.parse('{"a": }');
