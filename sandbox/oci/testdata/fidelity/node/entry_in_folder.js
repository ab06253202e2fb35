console.log("the language's entry was run");
