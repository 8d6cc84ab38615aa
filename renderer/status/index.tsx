import '../style/status.css';
import { render } from 'preact';
import type { Bridge } from '../../main/ipc/contract.ts';
import { App } from './app.tsx';

const { mcpAuthProxy } = globalThis as { mcpAuthProxy?: Bridge };
const root = document.getElementById('app');
if (root) render(<App bridge={mcpAuthProxy} />, root);
