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
      {notices.map(({ id, message, cure, opens }) => (
        <Note key={id} tone={opens === undefined ? 'warn' : 'good'} message={message} cure={cure}>
          {opens === 'new-version' && (
            <button type="button" class="button small" onClick={() => void ask('app:open-new-version')}>
              {texts.app.openNewVersion}
            </button>
          )}
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
