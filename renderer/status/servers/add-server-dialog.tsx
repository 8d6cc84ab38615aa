import { texts } from '../../texts.ts';
import { Dialog } from '../parts/dialog.tsx';
import { ServerFormView } from './server-form.tsx';
import { EMPTY_VALUES } from './server-values.ts';
import type { AddServer } from './use-add-server.ts';

/** The form for one more server. */
export function AddServerDialog({ add, onClose }: { add: AddServer; onClose(): void }) {
  return (
    <Dialog title={texts.form.addTitle} onClose={onClose}>
      <ServerFormView
        mode="add"
        initial={EMPTY_VALUES}
        clientSecretPresent={false}
        submit={add}
        onDone={onClose}
      >
        <button type="button" class="button" onClick={onClose}>
          {texts.app.cancel}
        </button>
      </ServerFormView>
    </Dialog>
  );
}
