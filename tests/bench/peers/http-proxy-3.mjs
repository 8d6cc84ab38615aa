import { Agent, createServer } from 'node:http';
import { createProxyServer } from 'http-proxy-3';

const proxy = createProxyServer({
  target: process.env.UPSTREAM,
  agent: new Agent({ keepAlive: true }),
  headers: { authorization: `Bearer ${process.env.TOKEN}` },
});
proxy.on('error', (_error, _request, response) => response.destroy());

const server = createServer((request, response) => proxy.web(request, response));
server.listen(0, '127.0.0.1', () => process.send(server.address().port));
