//! Encoders of histories by their definitions, in f64.

use super::*;

impl World {
    /// The vector of a history.
    pub fn encode(&self, history: &[usize]) -> Vec<f64> {
        let recent = &history[history.len().saturating_sub(MAX_ITEMS)..];
        let mut x: Vec<Vec<f64>> = recent
            .iter()
            .map(|&item| {
                self.vector(&self.tokens[item])
                    .iter()
                    .map(|&value| f64::from(value))
                    .collect()
            })
            .collect();
        match self.encoder {
            Encoder::Gru => (0..2).for_each(|layer| self.recur(layer, &mut x)),
            Encoder::Attention => {
                let position = self.weight("position");
                for (t, row) in x.iter_mut().enumerate() {
                    row.iter_mut()
                        .enumerate()
                        .for_each(|(d, value)| *value = *value * 1.5 + position[t * DIM + d]);
                }
                (0..2).for_each(|layer| self.attend(layer, &mut x));
            }
        }
        self.norm("norm", &x[x.len() - 1])
    }

    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let weight = self.weight(name);
        weight
            .chunks(x.len())
            .map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
            .collect()
    }

    fn affine(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let products = self.linear(&format!("{name}.weight"), x);
        products
            .iter()
            .zip(self.weight(&format!("{name}.bias")))
            .map(|(a, b)| a + b)
            .collect()
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / DIM as f64;
        let variance = x.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / DIM as f64;
        let (weight, bias) = (
            self.weight(&format!("{name}.weight")),
            self.weight(&format!("{name}.bias")),
        );
        (0..DIM)
            .map(|d| (x[d] - mean) / (variance + 1e-5).sqrt() * weight[d] + bias[d])
            .collect()
    }

    fn recur(&self, layer: usize, x: &mut [Vec<f64>]) {
        let name = |what: &str| format!("gru.{layer}.{what}");
        let (input_bias, state_bias) = (self.weight(&name("input_bias")), self.weight(&name("state_bias")));
        let mut h = vec![0.0; DIM];
        for row in x {
            let (a, b) = (self.linear(&name("input"), row), self.linear(&name("state"), &h));
            let sigmoid = |value: f64| 1.0 / (1.0 + (-value).exp());
            h = (0..DIM)
                .map(|d| {
                    let part = |gate: usize| {
                        (
                            a[gate * DIM + d] + input_bias[gate * DIM + d],
                            b[gate * DIM + d] + state_bias[gate * DIM + d],
                        )
                    };
                    let (r, z) = (sigmoid(part(0).0 + part(0).1), sigmoid(part(1).0 + part(1).1));
                    let n = (part(2).0 + r * part(2).1).tanh();
                    (1.0 - z) * n + z * h[d]
                })
                .collect();
            row.clone_from(&h);
        }
    }

    fn attend(&self, layer: usize, x: &mut [Vec<f64>]) {
        let name = |what: &str| format!("block.{layer}.{what}");
        let qkv: Vec<Vec<f64>> = x
            .iter()
            .map(|row| self.affine(&name("qkv"), &self.norm(&name("attention_norm"), row)))
            .collect();
        for (t, row) in x.iter_mut().enumerate() {
            let mut mixed = vec![0.0; DIM];
            for head in 0..3 {
                let place = |which: usize| which * DIM + head * 4..which * DIM + head * 4 + 4;
                let logits: Vec<f64> = (0..=t)
                    .map(|s| {
                        qkv[t][place(0)]
                            .iter()
                            .zip(&qkv[s][place(1)])
                            .map(|(q, k)| q * k)
                            .sum::<f64>()
                            / 2.0
                    })
                    .collect();
                let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
                for s in 0..=t {
                    for (d, value) in qkv[s][place(2)].iter().enumerate() {
                        mixed[head * 4 + d] += logits[s].exp() / total * value;
                    }
                }
            }
            let out = self.affine(&name("out"), &mixed);
            row.iter_mut().zip(out).for_each(|(value, out)| *value += out);
            let wide = self.affine(&name("expand"), &self.norm(&name("feed_norm"), row));
            let wide: Vec<f64> = wide
                .iter()
                .map(|&value| 0.5 * value * (1.0 + erf(value / 2.0_f64.sqrt())))
                .collect();
            let out = self.affine(&name("contract"), &wide);
            row.iter_mut().zip(out).for_each(|(value, out)| *value += out);
        }
    }
}

/// The error function by its series.
fn erf(x: f64) -> f64 {
    let (mut sum, mut term) = (x, x);
    for n in 1..200 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    if x.abs() > 5.0 {
        x.signum()
    } else {
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }
}
