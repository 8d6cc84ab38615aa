import type { Session } from 'electron';
import type { Network } from '../../app/network.ts';
import { proxyOfPacResult } from './proxy-of-pac-result.ts';
import { systemCertificates } from './system-certificates.ts';

/**
 * The network as the system has it set up: its proxies, also those of a proxy auto-config file, by Chromium; its
 * certificates read once, when they are asked for first.
 * @param session of Electron, whose settings for proxies are the system's
 */
export function createSystemNetwork(session: Pick<Session, 'resolveProxy'>): Network {
  let certificates: Promise<readonly string[]> | undefined;
  return {
    proxyFor: async (url) => proxyOfPacResult(await session.resolveProxy(url)),
    certificateAuthorities: () => {
      certificates ??= systemCertificates();
      return certificates;
    },
  };
}
