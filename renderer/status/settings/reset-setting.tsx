import { useId, useState } from 'preact/hooks';
import type { ServerView } from '../../../main/view.ts';
import { texts } from '../../texts.ts';
import { ResetDialog } from './reset-dialog.tsx';

/** The way back to the first start. It asks first. */
export function ResetSetting({ servers }: { servers: readonly ServerView[] }) {
  const [asking, setAsking] = useState(false);
  const id = useId();
  return (
    <>
      <div class="setting">
        <p class="hint" id={`${id}-hint`}>
          {texts.reset.hint}
        </p>
        <button type="button" class="button" aria-describedby={`${id}-hint`} onClick={() => setAsking(true)}>
          {texts.reset.open}
        </button>
      </div>
      {asking && <ResetDialog servers={servers} onClose={() => setAsking(false)} />}
    </>
  );
}
