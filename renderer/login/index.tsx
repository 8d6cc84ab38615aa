import './style.css';
import { render } from 'preact';
import type { Bridge } from '../../main/ipc/contract.ts';
import { LoginBar } from './login-bar.tsx';

const { mcpAuthProxy } = globalThis as { mcpAuthProxy?: Bridge };
const root = document.getElementById('app');
if (root) render(<LoginBar bridge={mcpAuthProxy} />, root);
