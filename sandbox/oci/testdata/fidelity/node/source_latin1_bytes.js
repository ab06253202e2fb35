console.log("café".length, "ÿþ");
