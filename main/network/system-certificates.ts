import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';

/** Where distributions keep the certificates they trust, as one file. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt', // Debian, Ubuntu, Arch
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', // Fedora, RHEL
  '/etc/ssl/ca-bundle.pem', // SUSE
  '/etc/ssl/cert.pem', // Alpine
];

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
/** The Keychain may take seconds, where many certificates are judged; then Node's own list has to do. */
const WORKER_TIMEOUT_MS = 10_000;

/**
 * The certificates that this system trusts, as PEM. On Linux those of its bundle, or of `SSL_CERT_FILE`. On macOS and
 * Windows what `tls.getCACertificates('system')` says, in a thread of its own because it may take long; it leaves out
 * what a person or an administrator distrusts. Where Node lacks it (before 22.15), none: Apple's `security` lists
 * certificates without a word on which of them are trusted, and one too many is worse than one too few.
 */
export async function systemCertificates(
  platform: NodeJS.Platform = process.platform,
  env: NodeJS.ProcessEnv = process.env,
): Promise<readonly string[]> {
  if (platform === 'darwin' || platform === 'win32') return certificatesByNode();
  for (const file of env.SSL_CERT_FILE ? [env.SSL_CERT_FILE] : BUNDLES) {
    const text = await readFile(file, 'utf8').catch(() => '');
    const certificates = text.match(CERTIFICATE);
    if (certificates) return certificates;
  }
  return [];
}

const ASK_NODE = `
  const { parentPort } = require('node:worker_threads');
  const { getCACertificates } = require('node:tls');
  parentPort.postMessage(getCACertificates ? getCACertificates('system') : []);
`;

/** What Node's own look at the system's store gives. Never rejects. */
export async function certificatesByNode(): Promise<readonly string[]> {
  const worker = new Worker(ASK_NODE, { eval: true });
  worker.unref();
  try {
    const [certificates] = await once(worker, 'message', { signal: AbortSignal.timeout(WORKER_TIMEOUT_MS) });
    return certificates;
  } catch {
    return [];
  } finally {
    void worker.terminate();
  }
}
