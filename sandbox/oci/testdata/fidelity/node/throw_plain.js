function fail(x) {
  throw new TypeError(`bad ${x}`);
}
fail(1);
