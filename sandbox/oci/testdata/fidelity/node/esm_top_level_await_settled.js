const x = await new Promise((resolve) => setTimeout(resolve, 5, 'later'));
console.log(x);
