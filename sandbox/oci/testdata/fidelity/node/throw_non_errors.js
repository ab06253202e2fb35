throw { an: 'object', nested: { deep: [1] } };
