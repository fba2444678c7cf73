"""The forward pass in float64 with loops and numpy, from the configuration and the tensors by name."""

from __future__ import annotations

import math

import numpy as np

_erf = np.vectorize(math.erf)


def logits(config, weights, patches, times, stats, topo):
    """Return (n, K)."""
    weights = {name: np.asarray(value, np.float64) for name, value in weights.items()}
    arrays = (patches, times, stats, topo)
    model = _Model(config, weights)
    windows = zip(*(np.asarray(array, np.float64) for array in arrays), strict=True)
    return np.stack([model.one_window(*window) for window in windows])


class _Model:
    def __init__(self, config, weights):
        self.config, self.weights = config, weights

    def one_window(self, patches, times, stats, topo):
        rows = [self.weights["class_token"]] if self.config.pooling == "cls" else []
        for i in range(patches.shape[1]):
            rows += self.patch(patches[:, i])
        if self.config.features_as == "tokens":
            rows += self.features("stat_embedding", stats, self.config.n_stat_tokens)
            rows += self.features("topo_embedding", topo, self.config.n_topo_tokens)
        tokens = np.stack(rows)
        for i in range(self.config.n_layers):
            tokens = self.layer(f"layers.{i}.", tokens)
        pooled = self.pool(tokens)
        if len(times):
            pooled = pooled + self.linear("time_embedding.project", times)
        if self.config.features_as == "branch":
            pooled = np.concatenate([pooled, self.branch(stats, topo)])
        return self.linear("head.project", pooled)

    def linear(self, name, x):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def activate(self, x):
        if self.config.activation == "relu":
            return np.maximum(x, 0)
        return 0.5 * x * (1 + _erf(x / math.sqrt(2)))

    def norm(self, name, x):
        spread = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        scaled = (x - x.mean(axis=-1, keepdims=True)) / spread
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def patch(self, patch):
        mean, std = (self.weights[f"patch_embedding.scale.{name}"][:, None] for name in ("mean", "std"))
        signal = (patch - mean) / std
        for i, layer in enumerate(self.config.stem):
            name = f"patch_embedding.stem.{i}"
            kernel = self.weights[f"{name}.0.weight"]
            signal = np.pad(signal, ((0, 0), (layer.padding, layer.padding)))
            starts = range(0, signal.shape[1] - layer.kernel + 1, layer.stride)
            columns = [
                [(kernel[out] * signal[:, start : start + layer.kernel]).sum() for out in range(len(kernel))]
                for start in starts
            ]
            signal = self.activate(self.batch_norm(f"{name}.1", np.array(columns))).T
        if self.config.stem_over == "window":
            return list(signal.T)
        return [self.linear("patch_embedding.project", signal.reshape(-1))]

    def batch_norm(self, name, x):
        mean, variance, gain, bias = (
            self.weights[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * gain + bias

    def branch(self, stats, topo):
        x = np.concatenate([self.quantiles("stat", stats), self.quantiles("topo", topo)])
        for i in range(2):
            x = x @ self.weights[f"branch.layers.{i}.0.weight"].T
            x = self.activate(self.batch_norm(f"branch.layers.{i}.1", x))
        return x

    def quantiles(self, name, values):
        scaled = []
        for column, value in enumerate(values):
            lower, inverse = (
                self.weights[f"branch.{name}_scale.{key}"][:, column] for key in ("lower", "inverse_width")
            )
            shares = [min(max((value - a) * b, 0.0), 1.0) for a, b in zip(lower, inverse, strict=True)]
            scaled.append(sum(shares) * 5.0 / 40 - 2.5)
        return np.array(scaled)

    def features(self, name, values, n_tokens):
        if not len(values):
            return []
        mean, std = self.weights[f"{name}.scale.mean"], self.weights[f"{name}.scale.std"]
        hidden = self.activate(self.linear(f"{name}.project.0", np.clip((values - mean) / std, -10, 10)))
        return list(self.linear(f"{name}.project.2", hidden).reshape(n_tokens, -1))

    def layer(self, name, x):
        pre = self.config.norm == "pre"
        mixed = self.attend(name, self.norm(f"{name}norm_attention", x) if pre else x)
        x = x + self.linear(f"{name}out", mixed)
        x = x if pre else self.norm(f"{name}norm_attention", x)
        hidden = self.linear(f"{name}feed_forward.0", self.norm(f"{name}norm_feed_forward", x) if pre else x)
        x = x + self.linear(f"{name}feed_forward.3", self.activate(hidden))
        return x if pre else self.norm(f"{name}norm_feed_forward", x)

    def attend(self, name, x):
        width, n_heads = self.config.d_model, self.config.n_heads
        size = width // n_heads
        qkv = self.linear(f"{name}qkv", x)
        out = np.empty((len(x), width))
        turns = self.config.rope_base ** (-np.arange(0, size, 2) / size)
        angles = np.exp(1j * np.arange(len(x))[:, None] * turns)
        for head in range(n_heads):
            columns = slice(head * size, (head + 1) * size)
            q, k, v = (qkv[:, part * width : (part + 1) * width][:, columns] for part in range(3))
            q, k = ((part[:, 0::2] + 1j * part[:, 1::2]) * angles for part in (q, k))
            scores = (q @ k.conj().T).real / math.sqrt(size)
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            out[:, columns] = weights / weights.sum(axis=1, keepdims=True) @ v
        return out

    def pool(self, tokens):
        if self.config.norm == "pre":
            tokens = self.norm("head.norm", tokens)
        if self.config.pooling == "cls":
            return tokens[0]
        if self.config.pooling == "mean_max":
            return np.concatenate([tokens.mean(axis=0), tokens.max(axis=0)])
        if self.config.pooling == "mean":
            return tokens.mean(axis=0)
        scores = tokens @ self.weights["head.pool.query"] / math.sqrt(self.config.d_model)
        weights = np.exp(scores - scores.max())
        return weights / weights.sum() @ tokens
