// Runs inside the broker's process, ahead of it, and tells on a local socket what the process holds after a collection.
import { createServer } from 'node:net';
import { getHeapCodeStatistics } from 'node:v8';

const path = process.env.SOAK_PROBE;
delete process.env.SOAK_PROBE;

createServer((socket) => {
  // Nothing of the probe is to keep the process, or to count as something that does.
  socket.unref();
  socket.on('error', () => socket.destroy());
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external, rss } = process.memoryUsage();
  // V8 goes on to compile what is run often, for many minutes.
  const { code_and_metadata_size: code, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics();
  const handles = {};
  for (const name of process.getActiveResourcesInfo()) handles[name] = (handles[name] ?? 0) + 1;
  socket.end(
    JSON.stringify({ heldBytes: heapUsed + external - code - bytecode, residentBytes: rss, handles }),
  );
})
  .listen(path)
  .unref();
