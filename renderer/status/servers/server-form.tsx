import type { ComponentChildren, TargetedSubmitEvent } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Outcome, ServerInput } from '../../../main/ipc/contract.ts';
import { texts } from '../../texts.ts';
import { Field } from '../parts/field.tsx';
import { Note } from '../parts/note.tsx';
import { completeUrl } from './complete-url.ts';
import { MoreOptions } from './more-options.tsx';
import { type Faults, inputOf, MORE_FIELDS, type ServerValues } from './server-values.ts';
import { UpstreamReportView } from './upstream-report.tsx';
import { type CheckState, type UpstreamReport, useUpstreamCheck } from './use-upstream-check.ts';

interface ServerFormProps {
  readonly mode: 'add' | 'edit';
  readonly initial: ServerValues;
  readonly clientSecretPresent: boolean;
  /** @returns what became of it; `undefined` when there was no answer, which has been said already */
  submit(input: ServerInput, report: UpstreamReport | undefined): Promise<Outcome | undefined>;
  onDone(): void;
  /** More buttons. */
  readonly children?: ComponentChildren;
}

/** The form of a server: one field, looked at while it is typed, and more options behind a disclosure. */
export function ServerFormView(props: ServerFormProps) {
  const { mode, initial, clientSecretPresent, submit, onDone, children } = props;
  const [values, setValues] = useState(initial);
  const [faults, setFaults] = useState<Faults>({});
  const [moreShown, showMore] = useState(mode === 'edit');
  const [refusals, setRefusals] = useState(0);
  const [underWay, setUnderWay] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const url = completeUrl(values.upstreamMcpUrl);
  const unchanged = mode === 'edit' && url === initial.upstreamMcpUrl;
  const { state, look } = useUpstreamCheck(url, !unchanged);
  const doubtful = isDoubtful(reportIn(state));

  useLayoutEffect(() => {
    form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
  }, [refusals]);

  function change(changes: Partial<ServerValues>) {
    setValues((before) => ({ ...before, ...changes }));
    setFaults((before) => without(before, Object.keys(changes)));
  }

  function refuse(found: Faults) {
    if (MORE_FIELDS.some((name) => found[name] !== undefined)) showMore(true);
    setFaults(found);
    setRefusals((before) => before + 1);
  }

  async function send() {
    if (url === '') return refuse({ upstreamMcpUrl: texts.form.urlMissing });
    const report = unchanged ? undefined : await look();
    if (report?.kind === 'bad_url') return refuse({ upstreamMcpUrl: report.message });
    // What has just been found out is shown first; whoever wants it anyway presses the button again.
    if (mode === 'add' && isDoubtful(report) && !doubtful) return;
    const outcome = await submit(inputOf(values, url, clientSecretPresent), report);
    if (outcome?.ok === false) refuse(outcome.faults);
    else if (outcome?.ok) onDone();
  }

  async function onSubmit(event: TargetedSubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (underWay) return;
    setUnderWay(true);
    await send();
    setUnderWay(false);
  }

  return (
    <form class={`form ${mode}`} ref={form} onSubmit={onSubmit} noValidate>
      <div class="form-url">
        <Field
          label={texts.form.url}
          value={values.upstreamMcpUrl}
          fault={faults.upstreamMcpUrl}
          onInput={(upstreamMcpUrl) => change({ upstreamMcpUrl })}
          input={{
            name: 'upstreamMcpUrl',
            inputMode: 'url',
            placeholder: texts.form.urlExample,
            autofocus: true,
            required: true,
          }}
        />
        <UpstreamReportView state={state} hint={mode === 'add' ? texts.check.idle : undefined} />
      </div>
      <details class="details" open={moreShown} onToggle={(event) => showMore(event.currentTarget.open)}>
        <summary>{texts.form.more}</summary>
        <MoreOptions
          values={values}
          faults={faults}
          clientSecretPresent={clientSecretPresent}
          onChange={change}
        />
      </details>
      {mode === 'edit' && (url !== initial.upstreamMcpUrl || values.profile !== initial.profile) && (
        <p class="hint" role="status">
          {texts.form.endsLogin}
        </p>
      )}
      <div role="alert">{faults[''] !== undefined && <Note tone="bad" message={faults['']} />}</div>
      <div class="actions">
        <button type="submit" class={doubtful ? 'button' : 'button primary'} aria-disabled={underWay}>
          {submitTitle(mode, underWay, reportIn(state))}
        </button>
        {children}
      </div>
    </form>
  );
}

function submitTitle(mode: 'add' | 'edit', underWay: boolean, report: UpstreamReport | undefined): string {
  if (mode === 'edit') return underWay ? texts.form.saving : texts.form.save;
  if (underWay) return texts.form.adding;
  if (isDoubtful(report)) return texts.form.addAnyway;
  const loginNeeded = report?.kind !== 'reachable' || report.login === 'required';
  return loginNeeded ? texts.form.addAndLogIn : texts.form.addOnly;
}

function reportIn(state: CheckState): UpstreamReport | undefined {
  return state.kind === 'done' ? state.report : undefined;
}

/** Whether it would be a surprise if this server worked. */
function isDoubtful(report: UpstreamReport | undefined): boolean {
  return report?.kind === 'unreachable' || report?.kind === 'not_mcp';
}

function without(faults: Faults, names: readonly string[]): Faults {
  const left = Object.entries(faults).filter(([name]) => !names.includes(name));
  return left.length === Object.keys(faults).length ? faults : Object.fromEntries(left);
}
