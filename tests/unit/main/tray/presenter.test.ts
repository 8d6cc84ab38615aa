import { afterEach, describe, expect, it } from 'vitest';
import { TrayPresenter, type TraySurface } from '../../../../main/tray/presenter.ts';
import { appView, loggedIn, MINUTE, NOW, serverView } from './views.ts';

/** A tray that keeps what it was told, and tells of each menu. */
class Surface implements TraySurface {
  readonly told: string[] = [];
  onMenu: (status: string) => void = () => {};

  setIcon(icon: string): void {
    this.told.push(`icon ${icon}`);
  }
  setToolTip(text: string): void {
    this.told.push(`tool tip ${text}`);
  }
  setMenu([status]: Parameters<TraySurface['setMenu']>[0]): void {
    this.told.push(`menu ${status?.label}`);
    this.onMenu(status?.label ?? '');
  }
  /** What it was told since it was asked last. */
  news(): string[] {
    return this.told.splice(0);
  }
}

describe('TrayPresenter', () => {
  let presenter: TrayPresenter | undefined;
  afterEach(() => presenter?.close());

  function present(now: () => number = () => NOW, shownIcon?: 'logged-out') {
    const surface = new Surface();
    presenter = new TrayPresenter(surface, shownIcon, now);
    return { surface, presenter };
  }

  it('shows icon, tool tip and menu', () => {
    const { surface, presenter } = present();
    presenter.update(appView([serverView()]));
    expect(surface.news()).toEqual([
      'icon logged-out',
      'tool tip MCP Auth Proxy: mcp.craft.do, logged out',
      'menu mcp.craft.do: logged out',
    ]);
  });

  it('sets nothing that is shown already', () => {
    const { surface, presenter } = present(() => NOW, 'logged-out');
    presenter.update(appView([serverView()]));
    expect(surface.news()).not.toContain('icon logged-out');
    presenter.update(appView([serverView({ scopes: ['mcp:tools'] })]));
    expect(surface.news()).toEqual([]);
    presenter.update(appView([serverView({ state: 'login_required' })], { online: false }));
    expect(surface.news()).toHaveLength(3);
  });

  it('shows the words of the time it is when it is told again, as after sleep', () => {
    let now = NOW;
    const { surface, presenter } = present(() => now);
    const view = appView([loggedIn()]);
    presenter.update(view);
    surface.news();
    now += 30 * MINUTE;
    presenter.update(view);
    expect(surface.news()).toEqual(['menu mcp.craft.do: logged in, refreshed 33 min ago, expires in 12 min']);
  });

  it('changes its words by itself when their time comes', async () => {
    const { surface, presenter } = present(Date.now);
    const changed = new Promise<string>((resolve) => {
      surface.onMenu = (status) => {
        if (!status.includes('expires')) resolve(status);
      };
    });
    const accessTokenExpiresAt = Date.now() + 50;
    presenter.update(appView([loggedIn({ accessTokenExpiresAt, lastRefresh: undefined })]));
    expect(surface.news()).toContain('menu mcp.craft.do: logged in, expires in less than a minute');
    expect(await changed).toBe('mcp.craft.do: logged in');
  });

  it('leaves an open menu alone, and puts up the latest one after', () => {
    const { surface, presenter } = present();
    presenter.update(appView([serverView()]));
    surface.news();
    presenter.menuOpened();
    presenter.update(appView([serverView({ state: 'logging_in' })]));
    presenter.update(appView([loggedIn()]));
    expect(surface.news().filter((line) => line.startsWith('menu'))).toEqual([]);
    presenter.menuClosed();
    expect(surface.news()).toEqual(['menu mcp.craft.do: logged in, refreshed 3 min ago, expires in 42 min']);
  });

  it('puts the menu up anew when it is asked to, changed or not', () => {
    const { surface, presenter } = present();
    presenter.update(appView([serverView()]));
    surface.news();
    presenter.resetMenu();
    expect(surface.news()).toEqual(['menu mcp.craft.do: logged out']);
  });

  it('shows nothing any more once it is closed', () => {
    const { surface, presenter } = present();
    presenter.update(appView([serverView()]));
    surface.news();
    presenter.close();
    presenter.menuClosed();
    presenter.resetMenu();
    expect(surface.news()).toEqual([]);
  });
});
