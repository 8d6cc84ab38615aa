import { Cross, Dots, Tick, type Tone, Warning } from '../../icons.tsx';
import { texts } from '../../texts.ts';
import type { CheckState, UpstreamReport } from './use-upstream-check.ts';

/** What the look at an upstream has shown. The region is always there, so that changes are read out. */
export function UpstreamReportView({ state, hint }: { state: CheckState; hint: string | undefined }) {
  return (
    <div class="report" role="status">
      {state.kind === 'idle' && hint !== undefined && <p class="hint">{hint}</p>}
      <Content state={state} />
    </div>
  );
}

function Content({ state }: { state: CheckState }) {
  switch (state.kind) {
    case 'idle':
      return null;
    case 'checking':
      return <Line tone="busy" title={texts.check.checking} />;
    case 'no_answer':
      return <Line tone="warn" title={texts.check.noAnswer} />;
    case 'done':
      return <Report report={state.report} />;
  }
}

function Report({ report }: { report: UpstreamReport }) {
  switch (report.kind) {
    case 'bad_url':
      return <Line tone="warn" title={report.message} />;
    case 'unreachable':
      return <Line tone="bad" title={texts.check.unreachable} sentences={[report.message]} />;
    case 'not_mcp':
      return <Line tone="bad" title={texts.check.notMcp} sentences={[report.message]} />;
    case 'reachable': {
      const { host, login, issuer, revision, obstacle } = report;
      const wantsLogin =
        issuer === undefined ? texts.check.loginRequired : texts.check.loginRequiredAt(hostOf(issuer));
      const sentences = [
        login === 'required' ? wantsLogin : texts.check.loginNotRequired,
        ...(revision === undefined ? [] : [texts.check.revision(revision.date, revision.orLater)]),
      ];
      return (
        <>
          <Line tone="good" title={texts.check.reachable(host)} sentences={sentences} />
          {obstacle !== undefined && <Line tone="warn" title={obstacle} />}
        </>
      );
    }
  }
}

const ICONS = { good: Tick, warn: Warning, bad: Cross, busy: Dots } as const;

interface LineProps {
  readonly tone: Extract<Tone, keyof typeof ICONS>;
  readonly title: string;
  readonly sentences?: readonly string[];
}

function Line({ tone, title, sentences = [] }: LineProps) {
  const Icon = ICONS[tone];
  return (
    <div class={`report-line ${tone}`}>
      <Icon />
      <p>
        <strong>{title}</strong>
        {sentences.length > 0 && <span>{` ${sentences.join(' ')}`}</span>}
      </p>
    </div>
  );
}

/** The host of a URL; the whole text where it is none. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}
