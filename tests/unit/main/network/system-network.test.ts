import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import path from 'node:path';
import * as tls from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { certificatesByNode, systemCertificates } from '../../../../main/network/system-certificates.ts';
import { createSystemNetwork } from '../../../../main/network/system-network.ts';
import { givenFolder } from '../../../support/broker.ts';
import { makeAuthority } from '../../../support/certificates.ts';
import { givenHttpClient } from '../../../support/http-client.ts';
import { givenConnectProxy } from '../../../support/proxies.ts';
import { listenUntilTestEnds } from '../../../support/scripted-server.ts';

/** What `SSL_CERT_FILE` names, until the test ends. */
function givenBundle(file: string): void {
  const { SSL_CERT_FILE } = process.env;
  process.env.SSL_CERT_FILE = file;
  onTestFinished(() => {
    if (SSL_CERT_FILE === undefined) delete process.env.SSL_CERT_FILE;
    else process.env.SSL_CERT_FILE = SSL_CERT_FILE;
  });
}

describe('the system’s network', () => {
  it('leads a request through the system’s proxy, to a server that only the system trusts', async () => {
    const folder = await givenFolder();
    const authority = await makeAuthority(folder, ['mcp.example.test']);
    const bundle = path.join(folder, 'bundle.pem');
    await writeFile(bundle, `# CA of the company\n${await readFile(authority.caFile, 'utf8')}`);
    givenBundle(bundle);
    const port = await listenUntilTestEnds(
      createServer(authority.server, (_, response) => response.end('through')),
    );
    const proxy = await givenConnectProxy(port);
    const asked: string[] = [];
    const network = createSystemNetwork({
      resolveProxy: async (url) => {
        asked.push(url);
        return `PROXY 127.0.0.1:${proxy.port}; DIRECT`;
      },
    });
    const client = givenHttpClient({ upstreamMcpUrl: 'https://mcp.example.test/mcp' }, { network });
    expect((await client.request('https://mcp.example.test/')).text).toBe('through');
    expect(asked).toEqual(['https://mcp.example.test/']);
    expect(proxy.asked).toEqual(['mcp.example.test:443']);
  });

  it('reads the certificates once', async () => {
    const network = createSystemNetwork({ resolveProxy: async () => 'DIRECT' });
    const first = network.certificateAuthorities();
    expect(network.certificateAuthorities()).toBe(first);
    await first;
  });
});

describe('the certificates of the system', () => {
  it('are those of a file, one by one, without what is beside them', async () => {
    const folder = await givenFolder();
    const { caFile } = await makeAuthority(folder);
    const certificate = (await readFile(caFile, 'utf8')).trim();
    const file = path.join(folder, 'bundle.pem');
    const foreign = '-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----';
    await writeFile(file, `# one\n${certificate}\n${foreign}\n\n# two\n${certificate}\n`);
    expect(await systemCertificates('linux', { SSL_CERT_FILE: file })).toEqual([certificate, certificate]);
  });

  it.each(['missing.pem', 'empty.pem'])('are none where the file is of no use: %s', async (name) => {
    const folder = await givenFolder();
    await writeFile(path.join(folder, 'empty.pem'), 'nothing\n');
    expect(await systemCertificates('linux', { SSL_CERT_FILE: path.join(folder, name) })).toEqual([]);
  });

  it('are those of Node where it knows them, and none where it does not', async () => {
    const { getCACertificates }: typeof tls & { getCACertificates?: (type: 'system') => string[] } = tls;
    const known = getCACertificates?.('system') ?? [];
    expect(await certificatesByNode()).toEqual(known);
    expect(await systemCertificates('darwin', {})).toEqual(known);
  });
});
