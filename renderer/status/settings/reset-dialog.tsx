import { useEffect, useRef, useState } from 'preact/hooks';
import type { ServerView } from '../../../main/view.ts';
import { texts } from '../../texts.ts';
import { Dialog } from '../parts/dialog.tsx';
import { useUi } from '../ui.ts';

interface ResetDialogProps {
  readonly servers: readonly ServerView[];
  onClose(): void;
}

/** Asks before everything is reset, and stays until the app ends by that. */
export function ResetDialog({ servers, onClose }: ResetDialogProps) {
  const { ask } = useUi();
  const [resetting, setResetting] = useState(false);
  const cancel = useRef<HTMLButtonElement>(null);
  const progress = useRef<HTMLParagraphElement>(null);

  // What had the focus goes with the question, and with its answer when nothing could be reset.
  useEffect(() => (resetting ? progress : cancel).current?.focus(), [resetting]);

  async function reset() {
    setResetting(true);
    if ((await ask('app:reset')) === undefined) setResetting(false);
  }

  if (resetting) {
    return (
      <Dialog title={texts.reset.resetting} alert onClose={() => undefined}>
        <p class="last" tabIndex={-1} ref={progress}>
          {texts.reset.resettingExplained}
        </p>
      </Dialog>
    );
  }
  return (
    <Dialog title={texts.reset.question} alert onClose={onClose}>
      <ul class="list">
        <li>
          {servers.length === 0
            ? texts.reset.loginsWithoutServers
            : texts.reset.logins(servers.map(({ name }) => name).join(', '))}
        </li>
        <li>{texts.reset.files}</li>
        <li>{texts.reset.startAtLogin}</li>
      </ul>
      <p>{texts.reset.afterwards}</p>
      <div class="actions">
        <button type="button" class="button danger" onClick={() => void reset()}>
          {texts.reset.confirm}
        </button>
        <button type="button" class="button" autofocus ref={cancel} onClick={onClose}>
          {texts.app.cancel}
        </button>
      </div>
    </Dialog>
  );
}
