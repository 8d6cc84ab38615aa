import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { AppView, ServerView } from '../../../main/view.ts';
import { Plus } from '../../icons.tsx';
import { texts } from '../../texts.ts';
import { Note } from '../parts/note.tsx';
import { AddServerDialog } from './add-server-dialog.tsx';
import { EditServerDialog } from './edit-server-dialog.tsx';
import { RemoveServerDialog } from './remove-server-dialog.tsx';
import { ServerCard } from './server-card.tsx';
import { useAddServer } from './use-add-server.ts';
import { Welcome } from './welcome.tsx';

type OpenDialog =
  | { readonly kind: 'add' }
  | { readonly kind: 'edit' | 'remove'; readonly server: ServerView }
  | undefined;

/** All servers; with none, the welcome. */
export function ServersView({ view }: { view: AppView }) {
  const { servers } = view;
  const [dialog, open] = useState<OpenDialog>(undefined);
  const add = useAddServer(servers);
  const heading = useRef<HTMLHeadingElement>(null);
  const before = useRef(servers.length);
  const close = () => open(undefined);

  // What had the focus may have gone with its server, or with the welcome.
  useLayoutEffect(() => {
    if (before.current !== servers.length && document.activeElement === document.body)
      heading.current?.focus();
    before.current = servers.length;
  }, [servers.length]);

  if (servers.length === 0) return <Welcome add={add} />;
  return (
    <>
      <div class="toolbar">
        <h2 tabIndex={-1} ref={heading}>
          {texts.views.servers}
        </h2>
        <button type="button" class="button" onClick={() => open({ kind: 'add' })}>
          <Plus />
          {texts.servers.add}
        </button>
      </div>
      <MemoryNote servers={servers} />
      {servers.map((server) => (
        <ServerCard
          key={server.id}
          server={server}
          preferredWay={view.settings.loginWay}
          detailed={servers.length === 1}
          onEdit={() => open({ kind: 'edit', server })}
          onRemove={() => open({ kind: 'remove', server })}
        />
      ))}
      {dialog?.kind === 'add' && <AddServerDialog add={add} onClose={close} />}
      {dialog?.kind === 'edit' && <EditServerDialog server={dialog.server} onClose={close} />}
      {dialog?.kind === 'remove' && <RemoveServerDialog server={dialog.server} onClose={close} />}
    </>
  );
}

/** Says it once, with what the stores say of themselves. */
function MemoryNote({ servers }: { servers: readonly ServerView[] }) {
  const stores = servers.flatMap(({ store }) => (store?.kind === 'memory' ? [store.description] : []));
  if (stores.length === 0) return null;
  const descriptions = [...new Set(stores)].map((text) => text.charAt(0).toUpperCase() + text.slice(1));
  return <Note tone="warn" message={texts.servers.memory} cure={descriptions.join(' ')} />;
}
