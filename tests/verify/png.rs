//! Turns an SVG of ours into a PNG, on machines without any font.

use std::sync::Arc;

use anyhow::{Context, Result};
use png::{BitDepth, ColorType, Compression, Encoder, Filter};
use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{Options, Tree},
};

/// DejaVu Sans with the letters that we use; its licence is beside it.
const FONT: &[u8] = include_bytes!("font/DejaVuSans.ttf");

/// The picture as a PNG, as large as it says it is. It has a background, so nothing of it is transparent.
pub fn render(svg: &str) -> Result<Vec<u8>> {
    let mut options = Options { font_family: "DejaVu Sans".into(), ..Options::default() };
    Arc::make_mut(&mut options.fontdb).load_font_data(FONT.to_vec());
    let tree = Tree::from_str(svg, &options).context("the picture is no SVG")?;
    let size = tree.size().to_int_size();
    let mut pixels = Pixmap::new(size.width(), size.height()).context("the picture is empty")?;
    pixels.fill(resvg::tiny_skia::Color::WHITE);
    resvg::render(&tree, Transform::default(), &mut pixels.as_mut());
    encode(&pixels).context("the picture cannot be written as a PNG")
}

/// Without transparency it is a third smaller than what `tiny_skia` writes.
fn encode(pixels: &Pixmap) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, pixels.width(), pixels.height());
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    // Large areas of one color compress best as they are.
    encoder.set_filter(Filter::NoFilter);
    let mut writer = encoder.write_header()?;
    let colors = pixels.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]);
    let colors: Vec<u8> = colors.map(rounded).collect();
    writer.write_image_data(&colors)?;
    writer.finish()?;
    Ok(file)
}

/// The edges of letters need no 256 shades, which make up half of the file.
fn rounded(shade: u8) -> u8 {
    (shade.saturating_add(4) / 8).saturating_mul(8) | (shade >> 5)
}
