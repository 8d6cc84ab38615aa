import type { ServerView } from '../../../main/view.ts';
import { texts } from '../../texts.ts';
import { Dialog } from '../parts/dialog.tsx';
import { useUi } from '../ui.ts';

/** Asks before a server is removed. */
export function RemoveServerDialog({ server, onClose }: { server: ServerView; onClose(): void }) {
  const { ask } = useUi();
  return (
    <Dialog title={texts.removal.title(server.name)} alert onClose={onClose}>
      <p>{texts.removal.explained}</p>
      <p>{texts.removal.clients(server.mcpUrl)}</p>
      <div class="actions">
        <button
          type="button"
          class="button danger"
          onClick={() => {
            onClose();
            void ask('server:remove', { id: server.id });
          }}
        >
          {texts.removal.confirm}
        </button>
        <button type="button" class="button" autofocus onClick={onClose}>
          {texts.app.cancel}
        </button>
      </div>
    </Dialog>
  );
}
