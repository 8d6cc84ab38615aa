import { useEffect, useRef, useState } from 'preact/hooks';
import type { Requests } from '../../../main/ipc/contract.ts';
import { useUi } from '../ui.ts';
import { looksComplete } from './complete-url.ts';

export type UpstreamReport = Requests['server:check']['response'];

/** What is known of the URL in the form. */
export type CheckState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'checking' }
  | { readonly kind: 'no_answer' }
  | { readonly kind: 'done'; readonly report: UpstreamReport };

/** Typing has paused when nothing came for so long, in milliseconds. */
const PAUSE_MS = 350;

interface Look {
  readonly url: string;
  readonly report: Promise<UpstreamReport | undefined>;
}

/**
 * Has the upstream looked at while its URL is typed: after each pause, and with answers to an older URL dropped.
 * @param url complete, or on the way to it
 * @param wanted `false`: not by itself
 * @returns what is known, and a look at once
 */
export function useUpstreamCheck(url: string, wanted: boolean) {
  const { bridge } = useUi();
  const [state, setState] = useState<CheckState>({ kind: 'idle' });
  const last = useRef<Look | undefined>(undefined);
  const shown = useRef(url);
  shown.current = url;

  /** One look per URL, shared by who asks; one that failed is not kept. */
  function reportOn(wantedUrl: string): Promise<UpstreamReport | undefined> {
    if (last.current?.url === wantedUrl) return last.current.report;
    const report = bridge.request('server:check', { url: wantedUrl }).catch(() => {
      if (last.current?.url === wantedUrl) last.current = undefined;
      return undefined;
    });
    last.current = { url: wantedUrl, report };
    return report;
  }

  async function look(): Promise<UpstreamReport | undefined> {
    const report = await reportOn(url);
    if (shown.current === url)
      setState(report === undefined ? { kind: 'no_answer' } : { kind: 'done', report });
    return report;
  }

  useEffect(() => {
    if (!wanted || !looksComplete(url)) {
      setState({ kind: 'idle' });
      return;
    }
    setState({ kind: 'checking' });
    const timer = setTimeout(() => void look(), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [url, wanted]);

  return { state, look };
}
