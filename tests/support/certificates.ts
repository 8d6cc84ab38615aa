import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const openssl = async (...args: string[]): Promise<void> => {
  await promisify(execFile)('openssl', args);
};

export interface TestAuthority {
  /** The CA's certificate as a PEM file, for `EXTRA_CA_CERTS`. */
  readonly caFile: string;
  /** A server's certificate for `localhost` and 127.0.0.1, and its key. */
  readonly server: { readonly cert: string; readonly key: string };
}

/**
 * Makes a CA of its own and a server certificate that it signs, good for a day.
 * @param folder where the files go
 * @param names further host names of the server
 */
export async function makeAuthority(folder: string, names: readonly string[] = []): Promise<TestAuthority> {
  const at = (name: string) => path.join(folder, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...key,
    '-days',
    '1',
    '-subj',
    '/CN=test CA',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
  );
  await openssl(
    'req',
    ...key,
    '-subj',
    '/CN=localhost',
    '-keyout',
    at('server.key'),
    '-out',
    at('server.csr'),
  );
  const subjects = ['localhost', '*.localhost', ...names].map((name) => `DNS:${name}`);
  await writeFile(at('server.ext'), `subjectAltName=${subjects.join(',')},IP:127.0.0.1\n`);
  await openssl(
    ...['x509', '-req', '-days', '1', '-in', at('server.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key')],
    ...['-CAcreateserial', '-extfile', at('server.ext'), '-out', at('server.pem')],
  );
  return {
    caFile: at('ca.pem'),
    server: { cert: await readFile(at('server.pem'), 'utf8'), key: await readFile(at('server.key'), 'utf8') },
  };
}
