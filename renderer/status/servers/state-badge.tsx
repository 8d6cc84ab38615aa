import type { JSX } from 'preact';
import type { ServerState, ServerView } from '../../../main/view.ts';
import { Cross, Dots, Lock, OpenLock, Tick, type Tone, Warning } from '../../icons.tsx';
import { texts } from '../../texts.ts';

const LOOKS: Readonly<Record<ServerState, { readonly tone: Tone; readonly Icon: () => JSX.Element }>> = {
  starting: { tone: 'busy', Icon: Dots },
  failed: { tone: 'bad', Icon: Cross },
  logged_out: { tone: 'calm', Icon: Lock },
  logging_in: { tone: 'busy', Icon: Dots },
  authenticated: { tone: 'good', Icon: Tick },
  login_required: { tone: 'warn', Icon: Warning },
  not_required: { tone: 'calm', Icon: OpenLock },
  error: { tone: 'bad', Icon: Cross },
};

/** A server's state in a shape and a word. */
export function StateBadge({ server: { state, wantsMoreAccess } }: { server: ServerView }) {
  const { tone, Icon } = LOOKS[wantsMoreAccess ? 'login_required' : state];
  return (
    <p class={`badge ${tone}`}>
      <Icon />
      {wantsMoreAccess ? texts.servers.moreAccess : texts.states[state]}
    </p>
  );
}
