import replyFrom from '@fastify/reply-from';
import fastify from 'fastify';

const authorization = `Bearer ${process.env.TOKEN}`;
const app = fastify();
// Bodies pass as they are, unread.
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
app.register(replyFrom, { base: process.env.UPSTREAM, undici: { headersTimeout: 0, bodyTimeout: 0 } });
app.all('/*', (request, reply) =>
  reply.from(request.url, { rewriteRequestHeaders: (_request, headers) => ({ ...headers, authorization }) }),
);
await app.listen({ port: 0, host: '127.0.0.1' });
process.send(app.server.address().port);
