//! Teaches the network to copy trusted rows (burn). The same rows give the same weights on the same kind of device.

use burn::{
    module::{Module, Param},
    nn::Linear,
    optim::{AdamConfig, GradientsParams, decay::WeightDecayConfig},
    tensor::{Device, Tensor, TensorData, activation::relu},
};
use sentinelflow_domain::scan::ScanProgress;

use super::{Layer, Scale};
use crate::{
    ScanError,
    features::Features,
    random::{Random, draw, mix},
};

const HIDDEN: usize = 32;
const CODE: usize = 8;
const EPOCHS: usize = 20;
/// Rows beyond this cost more than they teach.
const MOST_TRAINED_ROWS: usize = 20_000;
const PEAK_RATE: f64 = 3e-3;
const WARM_UP: f64 = 0.2;
const WEIGHT_DECAY: f32 = 1e-5;
const STEPS_BETWEEN_LOOKS: usize = 32;

#[derive(Module, Debug)]
struct Network {
    narrowing: Linear,
    coding: Linear,
    widening: Linear,
    copying: Linear,
}

/// Where the network is taught: on a graphics card if this build is for one.
fn device() -> Device {
    #[cfg(feature = "cuda")]
    return Device::cuda(0);
    #[cfg(all(feature = "wgpu", not(feature = "cuda")))]
    return Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    Device::flex()
}

pub(super) fn train(
    features: &Features,
    trusted: &[usize],
    scale: &Scale,
    progress: &dyn ScanProgress,
) -> Result<Vec<Layer>, ScanError> {
    let device = device().autodiff();
    let mut network = Network::new(features.matrix.width, &device);
    let mut optimizer = AdamConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(Some(WeightDecayConfig::new(WEIGHT_DECAY)))
        .init();
    let taught = draw(&features.keys, trusted, MOST_TRAINED_ROWS, 0xA070_E4C0);
    let batch_rows = (taught.len() / 32).clamp(16, 256).min(taught.len());
    let steps = EPOCHS * taught.len() / batch_rows;
    let mut epoch = 0;
    let mut deck = Vec::new();
    for step in 0..steps {
        if step % STEPS_BETWEEN_LOOKS == 0 {
            crate::detectors::still_wanted(progress, "training", step, steps)?;
        }
        if deck.len() < batch_rows {
            epoch += 1;
            deck = shuffled(&features.keys, &taught, epoch);
        }
        let batch = batch(features, scale, &deck.split_off(deck.len() - batch_rows), &device);
        let loss = (network.forward(batch.clone()) - batch).powi_scalar(2).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(rate(step, steps), network, gradients);
    }
    Ok(network.valid().layers())
}

/// Rises to the peak over the first fifth, then falls to zero along a cosine.
fn rate(step: usize, steps: usize) -> f64 {
    let done = (step as f64 + 0.5) / steps as f64;
    if done < WARM_UP {
        return PEAK_RATE * done / WARM_UP;
    }
    PEAK_RATE * 0.5 * (1.0 + (std::f64::consts::PI * (done - WARM_UP) / (1.0 - WARM_UP)).cos())
}

/// The rows in an order of their own for each epoch, in which a row more moves the others by one place.
fn shuffled(keys: &[u64], rows: &[usize], epoch: u64) -> Vec<usize> {
    let mut deck: Vec<(u64, usize)> = rows.iter().map(|row| (mix(keys[*row] ^ epoch), *row)).collect();
    deck.sort_unstable();
    deck.into_iter().map(|(_, row)| row).collect()
}

fn batch(features: &Features, scale: &Scale, rows: &[usize], device: &Device) -> Tensor<2> {
    let width = features.matrix.width;
    let mut values = Vec::with_capacity(rows.len() * width);
    for row in rows {
        values.extend(scale.scaled(features.matrix.row(*row)));
    }
    Tensor::from_data(TensorData::new(values, [rows.len(), width]), device)
}

impl Network {
    /// The weights come from our own generator: the framework's is shared by the whole process.
    fn new(width: usize, device: &Device) -> Self {
        let mut random = Random::new(0x1217_57A7);
        let mut layer = |from: usize, to: usize| {
            let bound = (6.0 / (from + to) as f64).sqrt();
            let weights: Vec<f32> =
                (0..from * to).map(|_| ((random.unit() * 2.0 - 1.0) * bound) as f32).collect();
            Linear {
                weight: Param::from_tensor(Tensor::from_data(TensorData::new(weights, [from, to]), device)),
                bias: Some(Param::from_tensor(Tensor::zeros([to], device))),
            }
        };
        Self {
            narrowing: layer(width, HIDDEN),
            coding: layer(HIDDEN, CODE),
            widening: layer(CODE, HIDDEN),
            copying: layer(HIDDEN, width),
        }
    }

    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let hidden = relu(self.narrowing.forward(rows));
        let code = relu(self.coding.forward(hidden));
        let hidden = relu(self.widening.forward(code));
        self.copying.forward(hidden)
    }

    fn layers(&self) -> Vec<Layer> {
        let numbers = |data: TensorData| data.try_to_vec::<f32>().expect("the network counts in f32");
        let layers = [&self.narrowing, &self.coding, &self.widening, &self.copying];
        layers
            .map(|layer| {
                let biases = layer.bias.as_ref().expect("each layer has biases").val();
                Layer::new(&numbers(layer.weight.val().into_data()), &numbers(biases.into_data()))
            })
            .into()
    }
}
