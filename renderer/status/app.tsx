import { useErrorBoundary, useState } from 'preact/hooks';
import type { Bridge } from '../../main/ipc/contract.ts';
import type { AppView } from '../../main/view.ts';
import { Mark } from '../icons.tsx';
import { texts } from '../texts.ts';
import { ActivityView } from './activity/activity-view.tsx';
import { LogView } from './log/log-view.tsx';
import { Notices } from './notices.tsx';
import { Messages, SaidContext } from './parts/messages.tsx';
import { Note } from './parts/note.tsx';
import { panelId, Tabs, tabId } from './parts/tabs.tsx';
import { ServersView } from './servers/servers-view.tsx';
import { SettingsView } from './settings/settings-view.tsx';
import { UiContext } from './ui.ts';
import { useAppView } from './use-app-view.ts';
import { useMessages } from './use-messages.ts';
import { useShownTab, VIEWS } from './use-shown-tab.ts';

/** The whole page. It never stays blank: what cannot be shown is said. */
export function App({ bridge }: { bridge: Bridge | undefined }) {
  const [failure] = useErrorBoundary();
  if (failure !== undefined || bridge === undefined) {
    return <Trouble message={texts.trouble.broken} cure={texts.trouble.brokenCure} />;
  }
  return <Window bridge={bridge} />;
}

function Window({ bridge }: { bridge: Bridge }) {
  const state = useAppView(bridge);
  const { ui, said } = useMessages(bridge);
  if (state.kind === 'loading') {
    return (
      <main class="whole" aria-busy="true">
        <p class="quiet">{texts.app.loading}</p>
      </main>
    );
  }
  if (state.kind === 'failed') {
    return <Trouble message={state.message} cure={texts.trouble.noAnswerCure} onRetry={state.retry} />;
  }
  return (
    <UiContext.Provider value={ui}>
      <SaidContext.Provider value={said}>
        <Views view={state.view} />
        <Messages />
      </SaidContext.Provider>
    </UiContext.Provider>
  );
}

function Views({ view }: { view: AppView }) {
  const [shown, show] = useShownTab();
  return (
    <>
      <header class="bar">
        <h1 class="brand">
          <Mark />
          <span>{texts.app.name}</span>
        </h1>
        <Tabs label={texts.app.views} tabs={VIEWS} titles={texts.views} selected={shown} onSelect={show} />
      </header>
      <main class="main">
        {!view.online && <Note tone="calm" message={texts.app.offline} cure={texts.app.offlineExplained} />}
        <Notices notices={view.notices} />
        <div class="panel" role="tabpanel" id={panelId(shown)} aria-labelledby={tabId(shown)} key={shown}>
          {shown === 'servers' && <ServersView view={view} />}
          {shown === 'activity' && <ActivityView servers={view.servers} />}
          {shown === 'settings' && <SettingsView view={view} />}
          {shown === 'log' && <LogView />}
        </div>
      </main>
    </>
  );
}

interface TroubleProps {
  readonly message: string;
  readonly cure: string;
  onRetry?(): void;
}

function Trouble({ message, cure, onRetry }: TroubleProps) {
  const [focused] = useState(() => (element: HTMLElement | null) => element?.focus());
  return (
    <main class="whole">
      <h1 class="brand">
        <Mark />
        <span>{texts.app.name}</span>
      </h1>
      <div role="alert">
        <Note tone="bad" message={message} cure={cure} />
      </div>
      {onRetry !== undefined && (
        <button type="button" class="button primary" ref={focused} onClick={onRetry}>
          {texts.app.tryAgain}
        </button>
      )}
    </main>
  );
}
