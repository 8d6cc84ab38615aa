// The floor: what forwarding costs in Node when nothing else is done. Undici's fastest way, one pool, one header added.
import { createServer } from 'node:http';
import { Pool } from 'undici';

const authorization = `Bearer ${process.env.TOKEN}`;
const pool = new Pool(process.env.UPSTREAM, { headersTimeout: 0, bodyTimeout: 0 });

const server = createServer((request, response) => {
  const { host, connection, ...headers } = request.headers;
  const body = request.method === 'POST' ? request : null;
  let abort = () => {};
  response.on('close', () => response.writableFinished || abort());
  pool.dispatch(
    { method: request.method, path: request.url, headers: { ...headers, authorization }, body },
    {
      onRequestStart(controller) {
        abort = () => controller.abort(new Error('client gone'));
        response.on('drain', () => controller.resume());
      },
      onResponseStart(
        _controller,
        status,
        { connection, 'keep-alive': _, 'transfer-encoding': __, ...headers },
      ) {
        response.writeHead(status, headers);
      },
      onResponseData(controller, chunk) {
        if (!response.write(chunk)) controller.pause();
      },
      onResponseEnd: () => response.end(),
      onResponseError: () => response.destroy(),
    },
  );
});
server.listen(0, '127.0.0.1', () => process.send(server.address().port));
