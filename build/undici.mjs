// Stands for undici in the bundles, with what the product uses of it. The whole, with fetch, WebSockets, caches and mocks,
// takes some 8 MB more of memory in each process, and longer to start.
import api from 'undici/lib/api/index.js';
import buildConnector from 'undici/lib/core/connect.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
import Pool from 'undici/lib/dispatcher/pool.js';

// As its index does.
Object.assign(Dispatcher.prototype, api);

export { Agent, buildConnector, Dispatcher, Pool };
