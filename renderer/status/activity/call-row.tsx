import type { CallView } from '../../../main/view.ts';
import { Passed, Refused, Warning } from '../../icons.tsx';
import { texts } from '../../texts.ts';
import { durationText } from './duration.ts';

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** One call. */
export function CallRow({ call, server }: { call: CallView; server: string }) {
  const { at, method, rpc, durationMs } = call;
  const moment = new Date(at);
  const { tone, title, Icon, text } = resultOf(call);
  return (
    <tr>
      <td class="time">
        <time dateTime={moment.toISOString()} title={FULL.format(moment)}>
          {TIME.format(moment)}
        </time>
      </td>
      <td class="server">{server}</td>
      <td class="method">
        {rpc !== undefined && <code>{rpc}</code>}
        {(rpc === undefined || method !== 'POST') && <span class="verb"> {method}</span>}
      </td>
      <td class={`result ${tone}`}>
        <span class="result-line">
          <Icon />
          <span class="hidden">{title}: </span>
          {text}
        </span>
      </td>
      <td class="number">{durationText(durationMs)}</td>
    </tr>
  );
}

function resultOf({ status, refusal }: CallView) {
  if (refusal !== undefined) {
    const text = status === undefined ? refusal : `${status} ${refusal}`;
    return { tone: 'warn', title: texts.activity.refused, Icon: Refused, text };
  }
  if (status === undefined)
    return { tone: 'calm', title: texts.activity.failed, Icon: Warning, text: texts.activity.gone };
  if (status >= 400)
    return { tone: 'bad', title: texts.activity.failed, Icon: Warning, text: String(status) };
  return { tone: 'good', title: texts.activity.ok, Icon: Passed, text: String(status) };
}
