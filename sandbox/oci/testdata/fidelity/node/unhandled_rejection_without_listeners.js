async function main() {
  console.log('start');
  throw new Error('from main');
}
main();
