"""TFLite and ONNX: making models of a format, changing them, and looking into their graphs."""
