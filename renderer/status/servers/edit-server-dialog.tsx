import { useEffect, useState } from 'preact/hooks';
import type { ServerForm } from '../../../main/ipc/contract.ts';
import type { ServerView } from '../../../main/view.ts';
import { texts } from '../../texts.ts';
import { Dialog } from '../parts/dialog.tsx';
import { Note } from '../parts/note.tsx';
import { useUi } from '../ui.ts';
import { ServerFormView } from './server-form.tsx';
import { valuesOf } from './server-values.ts';

/** The form of a server that is there, filled with its settings. */
export function EditServerDialog({ server, onClose }: { server: ServerView; onClose(): void }) {
  const { ask } = useUi();
  const { id } = server;
  const [form, setForm] = useState<ServerForm | 'loading' | 'gone'>('loading');

  // Asked once: what is typed must not be replaced.
  useEffect(() => {
    void ask('server:form', { id }).then((answer) => {
      if (answer === undefined) onClose();
      else setForm(answer.value ?? 'gone');
    });
  }, []);

  const cancel = (
    <button type="button" class="button" onClick={onClose}>
      {texts.app.cancel}
    </button>
  );
  return (
    <Dialog title={texts.form.editTitle(server.name)} onClose={onClose}>
      {form === 'loading' && <p class="quiet">{texts.form.loading}</p>}
      {form === 'gone' && <Note tone="warn" message={texts.form.gone} />}
      {typeof form === 'string' ? (
        <div class="actions">{cancel}</div>
      ) : (
        <ServerFormView
          mode="edit"
          initial={valuesOf(form)}
          clientSecretPresent={form.clientSecretPresent}
          submit={async (input) => (await ask('server:change', { id, input }))?.value}
          onDone={onClose}
        >
          {cancel}
        </ServerFormView>
      )}
    </Dialog>
  );
}
