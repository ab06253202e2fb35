const { newAsyncId, executionAsyncId } = require('async_hooks');
const { AsyncResource } = require('async_hooks');
console.log(new AsyncResource('x').asyncId(), executionAsyncId());
