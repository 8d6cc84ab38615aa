import type { Notice } from '../../main/view.ts';
import { Close } from '../icons.tsx';
import { texts } from '../texts.ts';
import { Note } from './parts/note.tsx';
import { useUi } from './ui.ts';

/** What the person should know. The region is always there, so that a new notice is read out. */
export function Notices({ notices }: { notices: readonly Notice[] }) {
  const { ask } = useUi();
  return (
    <section class="notices" aria-label={texts.app.notices} aria-live="polite">
      {notices.map(({ id, message, cure }) => (
        <Note key={id} tone="warn" message={message} cure={cure}>
          <button
            type="button"
            class="button icon-only"
            aria-label={texts.app.dismissNotice(message)}
            onClick={() => void ask('app:dismiss-notice', { id })}
          >
            <Close />
          </button>
        </Note>
      ))}
    </section>
  );
}
