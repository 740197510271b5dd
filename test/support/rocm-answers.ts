/** What rocm-smi prints for the questions of telemetry, in the words of its older and its newer versions. */

export const ROCM_OLD = `WARNING: AMD GPU device(s) is/are in a low-power state.\n${JSON.stringify({
  card1: {
    'Unique ID': 'N/A',
    'Temperature (Sensor edge) (C)': '49.0',
    'Temperature (Sensor junction) (C)': '52.0',
    'mclk clock speed': '100Mhz',
    'sclk clock speed': '2045Mhz',
    'Average Graphics Package Power (W)': '10.0',
    'GPU use (%)': '7',
    'GPU memory use (%)': '3',
    'PCI Bus': '0000:3B:00.0',
    'VRAM Total Used Memory (B)': '10485760',
  },
})}`;

export const ROCM_NEW = JSON.stringify({
  card0: {
    'Unique ID': '0xA1B2C3D4E5F60718',
    'Temperature (Sensor junction) (C)': '72.0',
    'Temperature (Sensor memory) (C)': '60.0',
    'mclk clock speed:': '(1300Mhz)',
    'sclk clock speed:': '(2104Mhz)',
    'Current Socket Graphics Package Power (W)': '550.5',
    'GPU use (%)': 88,
    'GPU Memory Allocated (VRAM%)': '50',
    'GPU Memory Read/Write Activity (%)': '41',
    'PCI Bus': '0000:05:00.0',
    'VRAM Total Memory (B)': '205520896000',
    'VRAM Total Used Memory (B)': '102760448000',
  },
  card1: { 'GPU use (%)': 'N/A', 'sclk clock speed:': '(?)' },
  system: { 'Driver version': '6.7.0' },
});
