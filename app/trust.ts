import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import type { Network } from './network.ts';

/**
 * Whom TLS connections trust. Made once, when the first one is opened: it takes some ten milliseconds.
 * @param file `EXTRA_CA_CERTS`
 * @returns gives `undefined` where Node's own list, with what `NODE_EXTRA_CA_CERTS` adds to it, is all there is
 * @throws the system error of a file that cannot be read, at once
 */
export function trust(
  file: string | undefined,
  network: Network | undefined,
): () => Promise<SecureContext | undefined> {
  const own = file === undefined ? [] : [readFileSync(file, 'utf8')];
  if (file === undefined && network === undefined) return async () => undefined;
  let context: Promise<SecureContext> | undefined;
  return () => {
    context ??= merged(own, network);
    return context;
  };
}

/** A `ca` option replaces Node's list and what `NODE_EXTRA_CA_CERTS` added to it, so all are named. */
async function merged(own: readonly string[], network: Network | undefined): Promise<SecureContext> {
  const variable = process.env.NODE_EXTRA_CA_CERTS;
  const [inherited, system] = await Promise.all([
    variable ? readFile(variable, 'utf8').catch(() => '') : '',
    network?.certificateAuthorities().catch(() => []) ?? [],
  ]);
  // Most of the system's list is in Node's; each certificate that is read costs time.
  const known = new Set(rootCertificates.map(withoutSpace));
  const further = system.filter((certificate) => !known.has(withoutSpace(certificate)));
  return createSecureContext({ ca: [...rootCertificates, ...further, inherited, ...own] });
}

function withoutSpace(text: string): string {
  return text.replace(/\s+/g, '');
}
