console.log(Math.random() !== Math.random(), Date.now() > 1.7e12, new Date('2024-02-30').getTime(), Math.hypot(3, 4), 0.1 + 0.2);
