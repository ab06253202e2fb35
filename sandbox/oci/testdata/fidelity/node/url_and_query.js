const u = new URL('https://user:pw@exämple.org:8080/p/../q?a=1&b=é#h');
u.searchParams.append('c', '2 3');
console.log(u, u.href, [...u.searchParams], require('querystring').parse('a=1&a=2'), require('url').parse('http://x/y').host);
new URL('not a url');
