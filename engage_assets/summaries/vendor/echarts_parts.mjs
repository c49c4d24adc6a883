// The parts of ECharts that the dashboard draws with; `make vendor` bundles them into echarts.min.js.
import { init, use } from "echarts/core";
import { BarChart, HeatmapChart, LineChart, SankeyChart } from "echarts/charts";
import { GridComponent, TooltipComponent, VisualMapContinuousComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, HeatmapChart, LineChart, SankeyChart]);
use([GridComponent, TooltipComponent, VisualMapContinuousComponent, SVGRenderer]);

export { init };
