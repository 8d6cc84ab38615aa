import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../support/free-port.ts';
import { type Place, type Running, start } from './process.ts';
import type { Program } from './programs.ts';
import { untilAnswered } from './until-answered.ts';

/** An nginx that listens on loopback. */
export interface Nginx extends Running {
  readonly origin: string;
}

/**
 * Starts nginx as one process without a log.
 * @param server what stands in its `server` block
 * @param outside what stands beside it
 */
export async function startNginx(
  { file, env }: Program,
  options: { folder: string; place: Place; server: string; outside?: string },
): Promise<Nginx> {
  const { folder, place, server, outside = '' } = options;
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, name)};`,
  );
  const configuration = join(folder, 'nginx.conf');
  await writeFile(
    configuration,
    `daemon off; master_process off; pid ${join(folder, 'pid')}; error_log stderr error;
     worker_rlimit_nofile 8192;
     events { worker_connections 4096; }
     http {
       access_log off; ${temporary.join(' ')}
       keepalive_requests 1000000000; keepalive_timeout 300s; tcp_nodelay on;
       ${outside}
       server { listen 127.0.0.1:${port}; ${server} }
     }`,
  );
  const args = ['-c', configuration, '-p', folder, '-e', 'stderr'];
  const running = await start(file, args, { place, env, sendsMessage: false });
  const origin = `http://127.0.0.1:${port}`;
  await untilAnswered(origin);
  return { ...running, origin };
}
