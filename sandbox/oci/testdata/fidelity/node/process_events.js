console.log(process.eventNames(), process.listenerCount('exit'), process.getMaxListeners(), process._events === undefined);
console.log(Object.keys(process._events), process._eventsCount, process.listeners('newListener').length);
