import { CLIENT_LABELS, MCP_CLIENTS, type McpClientId } from '../../../main/clients.ts';
import type { ServerView } from '../../../main/view.ts';
import { Copy } from '../../icons.tsx';
import { texts } from '../../texts.ts';
import { MenuButton } from '../parts/menu-button.tsx';
import { useUi } from '../ui.ts';

/** Where MCP clients reach the server, to be copied as it is or in the words of a client. */
export function ConnectRow({ server }: { server: ServerView }) {
  const { ask, announce } = useUi();
  const { id, name, mcpUrl } = server;

  async function copyFor(client: McpClientId) {
    const copied = await ask('server:copy-for-client', { id, client });
    if (!copied) return;
    const { kind, hint } = copied.value;
    announce(texts.servers.clientCopied[kind](CLIENT_LABELS[client], hint));
  }

  return (
    <div class="connect">
      <div class="connect-url">
        <span class="label">{texts.servers.mcpUrl}</span>
        <code>{mcpUrl}</code>
      </div>
      <div class="buttons">
        <button
          type="button"
          class="button small"
          aria-label={texts.servers.copyUrlLabel(name)}
          onClick={async () => {
            if (await ask('server:copy-url', { id })) announce(texts.servers.urlCopied);
          }}
        >
          <Copy />
          {texts.servers.copyUrl}
        </button>
        <MenuButton
          title={texts.servers.addToClient}
          label={texts.servers.of(texts.servers.addToClient, name)}
          entries={CLIENTS}
          onChoose={(client) => void copyFor(client)}
        />
      </div>
    </div>
  );
}

const CLIENTS = MCP_CLIENTS.map((id) => ({ id, title: CLIENT_LABELS[id] }));
