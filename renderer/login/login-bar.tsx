import type { Bridge, LoginBarView } from '../../main/ipc/contract.ts';
import { Lock, OpenLock, Warning } from '../icons.tsx';
import { loginTexts as texts } from '../texts.ts';
import { useBarView } from './use-bar-view.ts';

/** The bar above a provider's page. While there is no page, it says why in the space below. */
export function LoginBar({ bridge }: { bridge: Bridge | undefined }) {
  const view = useBarView(bridge);
  if (view === 'waiting') return null;
  if (view === 'failed' || bridge === undefined)
    return (
      <main class="space">
        <Warning />
        <p role="alert">{texts.noAnswer}</p>
      </main>
    );
  // The window closes or shows another state; where it cannot, there is nothing more to say.
  const ask = (channel: 'login:use-browser' | 'login:try-again') =>
    void bridge.request(channel).catch(() => undefined);
  return (
    <main>
      <div class="bar">
        <div class="where">
          <h1>{texts.logInTo(view.server)}</h1>
          <Origin view={view} />
        </div>
        <button
          type="button"
          class={view.trouble === undefined ? '' : 'prominent'}
          title={texts.useBrowserExplained}
          aria-keyshortcuts="F6"
          onClick={() => ask('login:use-browser')}
        >
          {texts.useBrowser}
        </button>
        {view.loading && <div class="progress" role="progressbar" aria-label={texts.loading} />}
      </div>
      {view.origin === '' ? (
        <NoPage view={view} tryAgain={() => ask('login:try-again')} />
      ) : (
        view.trouble !== undefined && (
          <div class="strip">
            <Warning />
            <p role="alert">{view.trouble}</p>
          </div>
        )
      )}
    </main>
  );
}

function Origin({ view: { origin, secure } }: { view: LoginBarView }) {
  if (origin === '') return null;
  return (
    <p class={secure ? 'origin secure' : 'origin'} title={origin}>
      {secure ? <Lock /> : <OpenLock />}
      <span class="unseen">{secure ? texts.secure : texts.onThisComputer} </span>
      {/* Cut at its beginning: who a host belongs to stands at its end. */}
      <span class="host">
        <bdi>{origin}</bdi>
      </span>
    </p>
  );
}

function NoPage({ view: { server, trouble }, tryAgain }: { view: LoginBarView; tryAgain: () => void }) {
  if (trouble === undefined)
    return (
      <div class="space">
        <p role="status">{texts.opening(server)}</p>
        <p class="quiet">{texts.openingExplained}</p>
      </div>
    );
  return (
    <div class="space">
      <Warning />
      <div role="alert">
        <h2>{texts.notOpened}</h2>
        <p>{trouble}</p>
      </div>
      <button type="button" onClick={tryAgain}>
        {texts.tryAgain}
      </button>
    </div>
  );
}
